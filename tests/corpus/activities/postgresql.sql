select 1
select * from only t_orders where id in (1, 2, 3) order by 1 limit 5 for update skip locked
(select a from t) union all (select b from u) intersect select c from v
values (1, 'a'), (2, 'b')
table t_orders
select count(*) filter (where x > 1) over (partition by a order by b rows between unbounded preceding and current row) from t
select * into temp t_copy from t_orders
select a into t_copy from t_orders where note = 'into x'
with a as (select 1) select * from a
with recursive a(n) as (values (1) union all select n + 1 from a where n < 9) select sum(n) from a
with a as (insert into t values (1) returning *), b as (select 2) select * from a, b
with a as (update t set x = 1 where y = 2 returning id) select count(*) from a
with a as (merge into t using s on t.a = s.a when matched then update set b = 1 returning *) select * from a
with "delete from" as (select 1) select * from "delete from"
with a as (select '(delete from t)' as note) select * from a
with a as (select deleted, inserted from t_log) select updated from a
with a as (select $$(insert into t)$$ as note) select * from a -- (delete from t)
with a as materialized (with b as (select 1) select * from b) delete from t using a
with a as (select 1) update t set x = 1 from a
with a as (select 1) merge into t using a on true when not matched then insert values (1)
with a as (delete from t returning *) insert into t_old select * from a
insert into t (a, b) values (1, default), (2, 3) on conflict (a) do update set b = excluded.b returning *
insert into t select * from s where not exists (select 1 from t where t.a = s.a)
update t set (a, b) = (select 1, 2) where c = any(array[1, 2])
delete from t using s where t.a = s.a
merge into t using s on t.a = s.a when matched and s.x then delete when not matched then do nothing
copy t to stdout with (format csv)
copy t (a, b) from stdin
copy (select * from t where note = 'from') to '/tmp/x'
copy (with d as (delete from t returning *) select * from d) to stdout
copy (insert into t values (1) returning *) to stdout
copy (select 1) to program 'cat'
copy t from program 'echo 1'
explain select * from t
explain analyze select * from t
explain analyze delete from t
explain (analyze, buffers) update t set a = 1
explain (buffers, analyze true, format json) insert into t values (1)
explain (analyze off) delete from t
explain (analyze false, verbose) delete from t
explain verbose delete from t
explain analyze verbose merge into t using s on true when matched then delete
explain analyze with d as (delete from t returning *) select * from d
explain with d as (delete from t returning *) select * from d
explain (analyze) (with d as (delete from t returning *) select * from d)
explain analyze create table t_copy as select * from t
explain analyze execute p(1)
explain execute p(1)
explain analyze declare c cursor for select 1
prepare p as select * from t where a = $1
prepare p (int, numeric(10, 2)) as delete from t where a = $1 and b = $2
prepare "odd as name" as insert into t values ($1)
prepare p as with d as (delete from t returning *) select * from d
prepare p (text) as values ($1)
execute p(1, 'x')
deallocate p
deallocate all
declare c cursor for select * from t
declare c insensitive scroll cursor with hold for select * from t
fetch forward 10 from c
move absolute 5 in c
close c
do $$ begin delete from t; end $$
do language plpgsql $x$ begin perform f(); end $x$
call p(1)
create table t (a int primary key, b text default 'x' check (b <> ''))
create temp table t as select * from s
create table if not exists t partition of u for values from (1) to (2)
create unique index concurrently i on t (lower(a)) where b is not null
create or replace view v as select * from t
create materialized view m as select 1 with no data
refresh materialized view concurrently m
create or replace function f(a int) returns int language sql as 'select delete_all($1)'
create or replace procedure p() language plpgsql as $$ begin delete from t; end $$
create trigger tr after insert or delete on t for each row execute function f()
create rule r as on delete to t do instead (delete from u)
create schema s authorization bob
create extension if not exists pgcrypto
create user mapping for bob server s options (user 'x')
create server s foreign data wrapper postgres_fdw options (host 'h')
create foreign table ft (a int) server s
create publication p for all tables
create subscription s connection 'host=h' publication p
create policy p on t using (true)
create type ty as enum ('a', 'b')
create domain d as text check (value <> '')
create sequence sq
create event trigger e on ddl_command_start execute function f()
create statistics st on a, b from t
create tablespace ts location '/x'
create database d template template0
alter table t add column c int, drop column d, alter column e type text
alter table t rename to u
alter table t enable row level security
alter table t owner to bob
alter database d set work_mem = '1MB'
alter system set log_statement = 'none'
alter function f(int) security definer
alter extension aws_s3 update
alter default privileges in schema public grant select on tables to bob
drop table if exists t, u cascade
drop function f(int)
drop schema s cascade
drop user mapping if exists for bob server s
truncate t, u restart identity cascade
comment on column t.a is 'select'
security label on table t is 'x'
import foreign schema s from server x into y
create user bob with password 'x' valid until '2032-01-01'
create role bob superuser login in role readers
create group g
alter role bob with nologin
alter role bob set search_path = x
alter role bob in database d reset all
alter role bob rename to rob
alter user bob rename to rob
alter group g add user bob
drop role if exists bob, rob
drop owned by bob cascade
reassign owned by bob to rob
grant select, insert, update on all tables in schema public to bob with grant option
grant readers to bob with admin option
revoke all privileges on t from public cascade
revoke readers from bob
begin isolation level serializable
start transaction read only
commit and chain
end
rollback to savepoint s
savepoint s
release savepoint s
prepare transaction 'x'
commit prepared 'x'
rollback prepared 'x'
set local statement_timeout = 5
set session authorization bob
set role readers
reset all
show search_path
show all
set constraints all deferred
lock table t in access exclusive mode
listen ch
notify ch, 'payload'
unlisten *
discard all
checkpoint
vacuum (full, analyze) t
analyze t (a)
reindex table concurrently t
cluster t using i
load 'lib'
