-- The queue takes no more puts.
--
-- ARGV: whether what waits is dropped too.
local marks = call('HMGET', n, 'phase', 'getters', 'putters')
call('DEL', q .. 'getters', q .. 'putters')
if ARGV[1] == '1' then
    call('HSET', n, 'phase', 'closed')
    local wait, back = call('LLEN', q .. 'wait'), call('ZRANGE', q .. 'back', 0, -1)
    for _, item in ipairs(call('ZRANGE', q .. 'rest', 0, -1)) do back[#back + 1] = item end
    call('DEL', q .. 'wait', q .. 'back', q .. 'rest')
    for _, item in ipairs(back) do gone({item}) end
    call('HINCRBY', n, 'head', wait)
    call('HINCRBY', n, 'dropped', wait + #back)
    tasks_done(wait + #back)
elseif not marks[1] then
    call('HSET', n, 'phase', 'draining')
end
ring(q, 'getters', marks[2], 64)
ring(q, 'putters', marks[3], 64)
return 1
