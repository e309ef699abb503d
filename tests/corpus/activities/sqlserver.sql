select 1
select top 5 * from dbo.t with (nolock) where a = 1 order by b option (recompile)
select a into dbo.copy from dbo.t
select a, 'into x' from t where b = '; delete from t'
select a from [delete] where [update] = 1
select a from t where b = "drop table t"
with a as (select 1 as x) select * from a
with a as (select * from t) delete from a
with a as (select * from t) update a set b = 1
with a as (select 1 as x) insert into t select * from a
with a as (select 1 as x) merge into t using a on t.x = a.x when matched then delete;
insert into t (a, b) values (1, 2), (3, 4)
insert into t select * from s
insert t default values
insert into t exec p
update t set a = 1 output inserted.a into @x where b = 2
update t set a = s.a from t join s on t.b = s.b
delete from t where a = 1
delete top (5) from t
merge into t using s on t.a = s.a when matched then update set b = 1 when not matched then insert (a) values (1);
create table t (a int primary key, b nvarchar(9) default 'x', foreign key (a) references u (a) on delete cascade on update no action)
create unique clustered index i on t (a) include (b) where c = 1
create view v as select * from t
create or alter view v as select * from t
create procedure p as begin delete from t end
create procedure p @a int as grant select on t to bob
create or alter procedure p as truncate table t
create function f(@a int) returns int as begin return 1 end
create trigger tr on t after insert, update as delete from u
create schema s authorization bob
create database d
alter table t add c int
alter table t drop column c
alter table t alter column a bigint
alter table t add constraint fk foreign key (a) references u (a) on delete cascade
alter view v as select 1 as a
drop table if exists t, u
drop procedure p
drop index i on t
truncate table t
grant select, insert, update, delete on t to bob with grant option
grant execute on p to bob
revoke select on t from bob
begin transaction
begin tran; update t set a = 1; commit tran
begin tran update t set a = 1 commit tran
commit
rollback transaction
save transaction s
set nocount on
set nocount on; select 1
set transaction isolation level snapshot
set nocount on delete from t
use hr
use hr; drop table t
declare @a int = 1
declare @a int = 1; select @a
declare @a int; set @a = 1; delete from t where a = @a
declare c cursor for select a from t
if exists (select 1 from t) drop table t
if @a = 1 delete from t else update t set a = 1
while @a < 5 begin insert into t values (1) set @a = @a + 1 end
exec p
exec dbo.p @a = 1
execute sp_who
exec ('delete from t')
print 'drop table t'
select 1; select 2
select 1; delete from t; select 2
select case when a = 1 then 'delete' else 'update' end from t
