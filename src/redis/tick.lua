-- A hub says that it is there, and what its command line says of the queue; and gives back what hubs that are no more
-- had out.
--
-- ARGV: the hub; for how long it is taken to be there (milliseconds, 0: it leaves); whether it has just started; the
-- number for the tags of this queue, if it has none yet; maxsize, the lease in milliseconds (0: none), the number of
-- attempts (empty: any), what the names of the keys of the dead letters' queue begin with, for how long an item rests
-- that has failed for the first time (milliseconds, 0: not at all).
-- Returns the number for the tags, and how many items came back.
local hub, stays, time = ARGV[1], tonumber(ARGV[2]), now()
call('ZREM', q .. 'hubs', hub)
if ARGV[3] == '1' and call('ZCOUNT', q .. 'hubs', time, '+inf') == 0 then
    -- As after a restart of a hub with its queues in memory: one that was shut down is open again.
    call('HDEL', n, 'phase')
end
call('HSETNX', n, 'run', ARGV[4])
local ticked, grace = unpack(call('HMGET', n, 'ticked', 'grace'))
ticked, grace = tonumber(ticked or 0), tonumber(grace or 0)
-- When Redis itself was away, nobody could say that he was there.
if ticked > 0 and time - ticked > stays / 2 and stays > 0 then grace = time + stays end
local returned, dead = 0, {}
if time >= grace then
    for _, other in ipairs(call('ZRANGEBYSCORE', q .. 'hubs', '-inf', time)) do dead[other] = true end
end
if stays == 0 then dead[hub] = true end
if next(dead) then
    local owners = call('HGETALL', owner)
    for i = 1, #owners, 2 do
        if dead[owners[i + 1]:match('^%a %d+ ([^.]+)')] then
            put_back(owners[i])
            returned = returned + 1
        end
    end
    -- Nobody repeats its steps any more.
    for _, field in ipairs(call('HKEYS', n)) do
        if dead[field:match('^s:([^.]+)')] then call('HDEL', n, field) end
    end
    for other in pairs(dead) do call('ZREM', q .. 'hubs', other) end
end
expire()
if stays > 0 then call('ZADD', q .. 'hubs', time + stays, hub) end
call('HSET', n, 'ticked', time, 'grace', grace,
    'maxsize', ARGV[5], 'lease', ARGV[6], 'attempts', ARGV[7], 'dead', ARGV[8], 'backoff', ARGV[9])
return {call('HGET', n, 'run'), returned}
