-- What every script about a queue begins with. KEYS[1] is what the names of all keys of the queue begin with.
-- See keys.md for what is in them.
local q = KEYS[1]
local call = redis.call

-- By Redis' clock, in milliseconds: those of the hubs need not agree.
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Wakes so many of those who wait at a bell of a queue, if anybody does: `n` says until when somebody may.
local function ring(queue, bell, times)
    if tonumber(call('HGET', queue .. 'n', bell) or 0) < now then return end
    local rung = call('LLEN', queue .. bell)
    for _ = rung + 1, math.min(rung + times, 64) do call('RPUSH', queue .. bell, 1) end
end

-- Somebody is about to wait at a bell. Whatever it was rung for until now, he has just seen that it is gone.
local function attend(bell)
    call('DEL', q .. bell)
    call('HSET', q .. 'n', bell, now + 2500)
end

-- The put, or other step, that was done last by this name: its number, and what it came to. A step is repeated when a
-- connection broke before its answer came, and its command may even arrive after that of its repetition.
local function last(token)
    local number, rest = (call('GET', q .. 'once:' .. token) or ''):match('^(%-?%d+) (.*)$')
    return tonumber(number), rest
end

-- So many tasks fewer are unfinished, if there are so many.
local function tasks_done(count)
    if count == 0 then return true end
    local left = tonumber(call('HGET', q .. 'n', 'unfinished') or 0) - count
    if left < 0 then return false end
    call('HSET', q .. 'n', 'unfinished', left)
    if left == 0 then ring(q, 'joiners', 64) end
    return true
end

-- These items have left for good, from wherever they were.
local function gone(items)
    if #items == 0 then return end
    call('HDEL', q .. 'owner', unpack(items))
    call('HDEL', q .. 'body', unpack(items))
    if call('EXISTS', q .. 'tries', q .. 'lease') > 0 then
        call('HDEL', q .. 'tries', unpack(items))
        call('ZREM', q .. 'lease', unpack(items))
    end
    call('HINCRBY', q .. 'n', 'gets', #items)
end

-- An item that was out waits again, in its old place: before all that were never taken.
local function put_back(item)
    call('HDEL', q .. 'owner', item)
    call('ZREM', q .. 'lease', item)
    if call('HGET', q .. 'n', 'phase') == 'closed' then
        call('HDEL', q .. 'body', item)
        call('HDEL', q .. 'tries', item)
        tasks_done(1)
        return
    end
    call('ZADD', q .. 'back', item, item)
    call('HINCRBY', q .. 'n', 'returned', 1)
    ring(q, 'getters', 1)
end

-- Work on an item has failed: it comes back after `rest` milliseconds, or goes to the dead letters.
local function failed(item, rest)
    call('HDEL', q .. 'owner', item)
    call('ZREM', q .. 'lease', item)
    local tries = call('HINCRBY', q .. 'tries', item, 1)
    local attempts, dead, phase = unpack(call('HMGET', q .. 'n', 'attempts', 'dead', 'phase'))
    attempts = tonumber(attempts or '')
    -- A queue that was shut down refuses: then the item comes back again.
    if attempts and tries > attempts and not call('HGET', dead .. 'n', 'phase') then
        call('RPUSH', dead .. 'wait', call('HGET', q .. 'body', item))
        call('HINCRBY', dead .. 'n', 'unfinished', 1)
        ring(dead, 'getters', 1)
        gone({item})
        -- Nobody will report it done, and join() must not wait for it.
        tasks_done(1)
    elseif rest > 0 and phase ~= 'closed' then
        call('ZADD', q .. 'rest', now + rest, item)
    else
        put_back(item)
    end
end

-- Takes back what has rested, and what was out for longer than its lease. No hub keeps watch: whoever looks does this.
local function expire()
    if call('EXISTS', q .. 'lease', q .. 'rest') == 0 then return end
    for _, item in ipairs(call('ZRANGEBYSCORE', q .. 'rest', '-inf', now, 'LIMIT', 0, 128)) do
        call('ZREM', q .. 'rest', item)
        put_back(item)
    end
    local late = call('ZRANGEBYSCORE', q .. 'lease', '-inf', now, 'LIMIT', 0, 128)
    if #late == 0 then return end
    -- Of what one call has got, the client hangs with the first that is left, and has not begun with the others.
    local owners, first = call('HMGET', q .. 'owner', unpack(late)), {}
    for _, owner in ipairs(owners) do
        local delivery, batch = owner:match(' (%d+) (%S+ %d+)$')
        first[batch] = math.min(first[batch] or math.huge, tonumber(delivery))
    end
    for i, item in ipairs(late) do
        local delivery, batch = owners[i]:match(' (%d+) (%S+ %d+)$')
        if tonumber(delivery) == first[batch] then failed(item, 0) else put_back(item) end
    end
end

-- Those of the items that are still out by the deliveries that stand behind them, in a list from `at` on.
local function still_out(list, at)
    local items = {}
    for i = at, #list, 2 do
        local owner = call('HGET', q .. 'owner', list[i])
        if owner and owner:match('^%a (%d+) ') == list[i + 1] then items[#items + 1] = list[i] end
    end
    return items
end
