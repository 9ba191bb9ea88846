-- The queue takes no more puts.
--
-- ARGV: whether what waits is dropped too.
call('DEL', q .. 'getters', q .. 'putters', q .. 'joiners')
if ARGV[1] == '1' then
    call('HSET', q .. 'n', 'phase', 'closed')
    local back = call('ZRANGE', q .. 'back', 0, -1)
    for _, item in ipairs(call('ZRANGE', q .. 'rest', 0, -1)) do back[#back + 1] = item end
    for _, item in ipairs(back) do
        call('HDEL', q .. 'body', item)
        call('HDEL', q .. 'tries', item)
    end
    local wait = call('LLEN', q .. 'wait')
    call('DEL', q .. 'wait', q .. 'back', q .. 'rest')
    call('HINCRBY', q .. 'n', 'head', wait)
    local unfinished = tonumber(call('HGET', q .. 'n', 'unfinished') or 0)
    tasks_done(math.min(unfinished, wait + #back))
elseif call('HGET', q .. 'n', 'phase') ~= 'closed' then
    call('HSET', q .. 'n', 'phase', 'draining')
end
for _, bell in ipairs({'getters', 'putters'}) do ring(q, bell, 64) end
return 1
