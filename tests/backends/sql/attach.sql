select datum.attach('public.tasks', owner => 'user_id', team => 'team_id', created => 'created_at', modified => 'modified_at');
select datum.membership('select team_id, role from public.members where user_id = auth.uid()');
