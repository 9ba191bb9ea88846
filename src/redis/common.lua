-- What every script about a queue begins with. KEYS[1] is what the names of all keys of the queue begin with. What is
-- in them is in keys.md. Each call of Redis from here takes it about a microsecond, so the scripts have few.
local q = KEYS[1]
local call = redis.call
local n, owner, body = q .. 'n', q .. 'owner', q .. 'body'

-- Redis' clock, in milliseconds: those of the hubs need not agree.
local function now()
    local time = call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Wakes so many of those who wait at a bell of a queue, if anybody does: `mark` says until when somebody may.
local function ring(queue, bell, mark, times)
    if not mark then return end
    if tonumber(mark) < now() then
        call('HDEL', queue .. 'n', bell)
        return
    end
    local rung = call('LLEN', queue .. bell)
    for _ = rung + 1, math.min(rung + times, 64) do call('RPUSH', queue .. bell, 1) end
end

-- Somebody is about to wait at a bell. Whatever it was rung for until now, he has just seen that it is gone.
local function attend(bell)
    call('DEL', q .. bell)
    call('HSET', n, bell, now() + 2500)
end
