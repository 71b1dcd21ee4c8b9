-- An upgrade makes the functions and triggers of attached tables anew. Nothing happens in the same version.
do $$
declare
  e datum.entity;
begin
  if (select s.version from datum.server s) is distinct from datum.version() then
    for e in select x.* from datum.entity x where to_regclass(x.tbl) = x.rel loop
      perform datum.install(e);
    end loop;
    update datum.server set version = datum.version();
  end if;
end $$;

notify pgrst, 'reload schema';
