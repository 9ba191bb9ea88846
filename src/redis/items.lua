-- What the scripts have in common that are about items which were taken. It stands between common.lua and the script.

-- Whether any item has a lease, or rests, or has failed. In most queues none has.
local special = call('EXISTS', q .. 'lease', q .. 'rest', q .. 'tries') > 0

-- So many tasks fewer are unfinished.
local function tasks_done(count)
    local unfinished, joiners = unpack(call('HMGET', n, 'unfinished', 'joiners'))
    local left = math.max(0, tonumber(unfinished or 0) - count)
    call('HSET', n, 'unfinished', left)
    if left == 0 then ring(q, 'joiners', joiners, 64) end
end

-- These items have left for good, from wherever they were.
local function gone(items)
    if #items == 0 then return end
    call('HDEL', owner, unpack(items))
    call('HDEL', body, unpack(items))
    if special then
        call('HDEL', q .. 'tries', unpack(items))
        call('ZREM', q .. 'lease', unpack(items))
    end
end

-- An item that was out waits again, in its old place: before all that were never taken.
local function put_back(item)
    call('HDEL', owner, item)
    if special then call('ZREM', q .. 'lease', item) end
    local phase, getters = unpack(call('HMGET', n, 'phase', 'getters'))
    if phase == 'closed' then
        gone({item})
        call('HINCRBY', n, 'dropped', 1)
        tasks_done(1)
        return
    end
    call('ZADD', q .. 'back', item, item)
    call('HINCRBY', n, 'returned', 1)
    ring(q, 'getters', getters, 1)
end

-- Work on an item has failed: it comes back after `rest` milliseconds, or if that is nil as the queue has it, or goes
-- to the dead letters.
local function failed(item, rest)
    call('HDEL', owner, item)
    if special then call('ZREM', q .. 'lease', item) end
    local tries = call('HINCRBY', q .. 'tries', item, 1)
    special = true
    local attempts, dead, phase, backoff = unpack(call('HMGET', n, 'attempts', 'dead', 'phase', 'backoff'))
    attempts = tonumber(attempts or '')
    if not rest then
        -- Twice as long each time, at most an hour, and up to a tenth less: neighbours get different parts of it.
        rest = math.min(tonumber(backoff or 0) * 2 ^ (tries - 1), 3600000)
        rest = math.floor(rest - rest / 1280 * ((item % 128 * 37 + (tries - 1) * 11) % 128))
    end
    -- A queue that was shut down refuses: then the item comes back again.
    if attempts and tries > attempts and not call('HGET', dead .. 'n', 'phase') then
        call('RPUSH', dead .. 'wait', call('HGET', body, item))
        call('HINCRBY', dead .. 'n', 'unfinished', 1)
        ring(dead, 'getters', call('HGET', dead .. 'n', 'getters'), 1)
        gone({item})
        -- Nobody will report it done, and join() must not wait for it.
        tasks_done(1)
    elseif rest > 0 and phase ~= 'closed' then
        call('ZADD', q .. 'rest', now() + rest, item)
    else
        put_back(item)
    end
end

-- Takes back what has rested, and what was out for longer than its lease. No hub keeps watch: whoever looks does this.
local function expire()
    if not special then return end
    local time = now()
    for _, item in ipairs(call('ZRANGEBYSCORE', q .. 'rest', '-inf', time, 'LIMIT', 0, 128)) do
        call('ZREM', q .. 'rest', item)
        put_back(item)
    end
    local late = call('ZRANGEBYSCORE', q .. 'lease', '-inf', time, 'LIMIT', 0, 128)
    if #late == 0 then return end
    -- Of what one call has got, the client hangs with the first that is left, and has not begun with the others.
    local owners, first = call('HMGET', owner, unpack(late)), {}
    for _, has in ipairs(owners) do
        local delivery, batch = has:match(' (%d+) (%S+ %d+)$')
        first[batch] = math.min(first[batch] or math.huge, tonumber(delivery))
    end
    for i, item in ipairs(late) do
        local delivery, batch = owners[i]:match(' (%d+) (%S+ %d+)$')
        if tonumber(delivery) == first[batch] then failed(item) else put_back(item) end
    end
end

-- Those of the items that are still out by the deliveries that stand behind them, in a list from `at` on.
local function still_out(list, at)
    local items, out = {}, {}
    for i = at, #list, 2 do items[#items + 1] = list[i] end
    if #items == 0 then return out end
    for i, has in ipairs(call('HMGET', owner, unpack(items))) do
        if has and has:match('^%a (%d+) ') == list[at + 2 * i - 1] then out[#out + 1] = items[i] end
    end
    return out
end
