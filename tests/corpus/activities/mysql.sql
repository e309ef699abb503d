select 1
select straight_join sql_calc_found_rows * from t force index (i) where a = 1 limit 5, 10 for update
select * from t into outfile '/tmp/x' fields terminated by ','
(select a from t) union (select b from u) order by 1
with a as (select 1) select * from a
with recursive a as (select 1 as n union all select n + 1 from a where n < 9) select * from a
with a as (select 1 as id) update t join a on t.id = a.id set t.x = 1
with a as (select 1 as id) delete from t using t join a on t.id = a.id
with `delete` as (select 1) select * from `delete`
select 'delete from t; drop table t' as note
select * from t where note = "it's; drop table t"
table t
values row(1, 2), row(3, 4)
insert into t (a, b) values (1, 2), (3, 4) on duplicate key update b = values(b)
insert ignore into t set a = 1
insert into t select * from s
replace into t values (1, 2)
update t set a = 1 where b = 2 order by c limit 5
update t join s on t.a = s.a set t.b = s.b
delete from t where a = 1 limit 5
delete t from t join s on t.a = s.a
load data local infile 'x' into table t
create table t (a int primary key, b varchar(9) default 'x') engine = innodb
create table t like s
create table t as select * from s
create temporary table t select * from s
create unique index i on t (a, b)
create or replace view v as select * from t
create database d character set utf8mb4
create procedure p() select 1
create trigger tr before insert on t for each row set new.a = 1
create function f(a int) returns int deterministic return a
create event e on schedule every 1 day do delete from t
alter table t add column c int, drop column d
alter table t rename to u
alter database d character set utf8mb4
drop table if exists t, u
drop view v
drop database d
drop index i on t
truncate table t
truncate t
rename table t to u, v to w
grant select, insert on d.* to 'bob'@'%'
grant all privileges on *.* to bob with grant option
revoke all privileges, grant option from bob
revoke select on d.t from 'bob'@'%'
set names utf8mb4
set global max_connections = 5
set @a = 1, @b = (select 2)
set transaction isolation level read committed
set autocommit = 0
use shop
start transaction
begin
commit
rollback
savepoint s
rollback to savepoint s
lock tables t write
unlock tables
show tables
show full columns from t like 'a%'
show create table t
show variables like 'x%'
show processlist
show grants for bob
describe t
desc t
explain select * from t
explain delete from t
explain format=json select * from t
call p(1)
do sleep(1)
kill 5
analyze table t
optimize table t
flush privileges
