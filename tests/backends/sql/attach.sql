select datum.attach('public.tasks', owner => 'user_id', team => 'team_id', names => 'camel');
