select 1 from dual
select /*+ full(t) */ * from t where rownum < 5 for update nowait
select * from t as of timestamp systimestamp - interval '1' hour
select level from dual connect by level < 9
with a as (select 1 x from dual) select * from a
with "delete" as (select 1 x from dual) select * from "delete"
select q'[it's; drop table t]' from dual
select a from t union all select b from u minus select c from v
insert into t (a, b) values (1, :x)
insert into t select * from s
update t set a = 1, b = (select max(x) from s) where c = 2
update t set (a, b) = (select 1, 2 from dual)
delete from t where a = 1
delete t where a = 1
merge into t using s on (t.a = s.a) when matched then update set t.b = s.b when not matched then insert (a) values (s.a)
create table t (a number(10) primary key, b varchar2(9) default 'x')
create global temporary table t (a number) on commit preserve rows
create table t as select * from s
create unique index i on t (a, b)
create or replace view v as select * from t
create sequence sq start with 1
create or replace procedure p as begin delete from t; end;
create or replace function f return number as begin return 1; end;
create or replace trigger tr before insert on t for each row begin null; end;
create or replace package pk as procedure p; end;
create public synonym s for t
create database link l connect to bob identified by x using 'y'
create materialized view m as select 1 x from dual
alter table t add (c number)
alter table t drop column c
alter table t rename column a to b
alter session set current_schema = x
alter system flush shared_pool
alter index i rebuild
drop table t cascade constraints purge
drop view v
drop index i
drop sequence sq
truncate table t
comment on table t is 'x'
comment on column t.a is 'x'
rename t to u
purge recyclebin
flashback table t to before drop
grant select, insert on t to bob with grant option
grant dba to bob
revoke select on t from bob
create user bob identified by x
alter user bob account lock
drop user bob cascade
create role r
drop role r
commit
rollback
rollback to savepoint s
savepoint s
set transaction read only
set role r
lock table t in exclusive mode
explain plan for select * from t
explain plan for delete from t
begin null; end;
declare n number; begin n := 1; end;
call p(1)
analyze table t compute statistics
audit select on t
noaudit select on t
