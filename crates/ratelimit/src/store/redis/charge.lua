-- Charges the limits of one request at once. The arithmetic is that of `algorithm`; times are in milliseconds.
--
-- KEYS[i]  the counter of charge i; one key may come more than once
-- ARGV     now, 1 for all-or-nothing else 0, then for each charge six values:
--          algorithm (f, s, t), capacity, requests, unit, hits, and 1 if it refuses the request, 2 if it only counts
--          where all of it fits, 3 if it counts nowhere, else 0
-- returns  how many values were no counters, then for each charge the hits in use before it,
--          and for s and t: time until nothing is in use, time until the same hits would be admitted

local PARTS = 20
local FIELDS = 6
local EXACT = 9007199254740992 -- 2^53: beyond that not every whole number is one of Lua's
local DEBT = 1e23 -- more than the largest bucket with the largest cost beyond it
local now = tonumber(ARGV[1])
local strict = ARGV[2] == '1'
local repaired = 0

-- A whole number below a bound, else nothing.
local function whole(text, bound)
  local number = tonumber(text)
  if number and number >= 0 and number < bound and number == math.floor(number) then return number end
end

-- A span of time as a whole number that an answer can carry.
local function span(time) return math.min(EXACT, math.max(0, math.ceil(time))) end

-- The text of a key; nothing when there is none, or something else.
local function get(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then
    redis.call('DEL', key)
    repaired = repaired + 1
    return nil
  end
  return value or nil
end

local fixed = {
  read = function(text) return { count = whole(text, EXACT) } end,
  valid = function(state) return state.count end,
  used = function(state) return state.count or 0 end,
  add = function(state, _, delta) state.count = (state.count or 0) + delta end,
  lasts = function(_, charge) return charge.unit - now % charge.unit end,
  write = function(state) return string.format('%.0f', state.count) end,
}

local sliding = {
  read = function(text, charge)
    local part = charge.unit / PARTS
    local state = { part = part, current = math.floor(now / part) }
    for index, count in string.gmatch(text, '(%d+):(%d+)') do
      state[#state + 1] = { tonumber(index), tonumber(count) }
    end
    if #state > 0 and state[#state][1] > state.current then state.current = state[#state][1] end
    while #state > 0 and state[1][1] + PARTS < state.current do table.remove(state, 1) end
    return state
  end,
  valid = function(state, text)
    local sound = text == '' or string.match(text, '^[%d: ]+$') and string.find(text, '%d:%d')
    return sound and state.current * state.part < EXACT
  end,
  used = function(state)
    local sum = 0
    for i = 1, #state do sum = sum + state[i][2] end
    return sum
  end,
  add = function(state, _, delta)
    local last = state[#state]
    if delta > 0 then
      if last and last[1] == state.current then last[2] = last[2] + delta
      else state[#state + 1] = { state.current, delta } end
      return
    end
    local refund = -delta
    while refund > 0 and #state > 0 do
      last = state[#state]
      local back = math.min(refund, last[2])
      last[2] = last[2] - back
      refund = refund - back
      if last[2] == 0 then table.remove(state) end
    end
  end,
  times = function(state, charge)
    local function forgotten(index) return math.max(0, (index + PARTS + 1) * state.part - now) end
    local reset = #state > 0 and forgotten(state[#state][1]) or 0
    local left = 0
    for i = 1, #state do left = left + state[i][2] end
    if charge.hits < 0 or left + charge.hits <= charge.capacity then return reset, 0 end
    for i = 1, #state do
      left = left - state[i][2]
      if left + charge.hits <= charge.capacity then return reset, forgotten(state[i][1]) end
    end
    return reset, charge.unit
  end,
  write = function(state)
    local texts = {}
    for i = 1, #state do texts[i] = string.format('%.0f:%.0f', state[i][1], state[i][2]) end
    return table.concat(texts, ' ')
  end,
}

local bucket = {
  read = function(text, charge)
    local debt, at = string.match(text, '^(%d+):(%d+)$')
    debt, at = whole(debt, DEBT), whole(at, EXACT)
    if not debt or not at then return { debt = 0, at = now, wrong = true } end
    return { debt = math.max(0, debt - math.max(0, now - at) * charge.requests), at = math.max(at, now) }
  end,
  valid = function(state, text) return text == '' or not state.wrong end,
  used = function(state, charge) return math.ceil(state.debt / charge.unit) end,
  add = function(state, charge, delta) state.debt = math.max(0, state.debt + delta * charge.unit) end,
  times = function(state, charge)
    if charge.requests == 0 then return charge.unit, charge.unit end
    local excess = state.debt + (math.max(0, charge.hits) - charge.capacity) * charge.unit
    return span(state.debt / charge.requests), span(excess / charge.requests)
  end,
  write = function(state) return string.format('%.0f:%.0f', state.debt, state.at) end,
}

local algorithms = { f = fixed, s = sliding, t = bucket }

local function charge_of(i)
  local at = 2 + (i - 1) * FIELDS
  return {
    letter = ARGV[at + 1],
    algorithm = algorithms[ARGV[at + 1]],
    capacity = tonumber(ARGV[at + 2]),
    requests = tonumber(ARGV[at + 3]),
    unit = tonumber(ARGV[at + 4]),
    hits = tonumber(ARGV[at + 5]),
    enforced = ARGV[at + 6] == '1',
    spare = ARGV[at + 6] == '2',
    looks = ARGV[at + 6] == '3',
  }
end

local function load(key, charge)
  local text = get(key)
  local state = charge.algorithm.read(text or '', charge)
  if text and not charge.algorithm.valid(state, text) then
    repaired = repaired + 1
    state = charge.algorithm.read('', charge)
  end
  state.pending = 0
  return state
end

local states, charges, used, deltas = {}, {}, {}, {}
local refused = false
for i, key in ipairs(KEYS) do
  local charge = charge_of(i)
  charges[i] = charge
  local state = states[key]
  if not state then
    state = load(key, charge)
    states[key] = state
  end
  used[i] = charge.algorithm.used(state, charge) + state.pending
  local delta = charge.hits
  if charge.looks then
    delta = 0
  elseif delta < 0 then
    delta = math.max(delta, -used[i])
  elseif used[i] + delta > charge.capacity then
    refused = refused or charge.enforced
    if strict or charge.spare or (charge.letter ~= 'f' and used[i] >= charge.capacity) then delta = 0 end
  end
  deltas[i] = delta
  state.pending = state.pending + delta
end

local reply = { 0 }
for i, key in ipairs(KEYS) do
  local charge, state = charges[i], states[key]
  if deltas[i] ~= 0 and not (strict and refused) then
    charge.algorithm.add(state, charge, deltas[i])
    state.changed = charge
  end
  reply[#reply + 1] = used[i]
  if charge.algorithm.times then
    local reset, retry = charge.algorithm.times(state, charge)
    reply[#reply + 1] = reset
    reply[#reply + 1] = retry
  end
end
-- A counter stays as long as it says anything, and a little longer for services whose clocks differ. Those that are written
-- at different times do not all go at once.
for key, state in pairs(states) do
  local charge = state.changed
  if charge then
    local lasts = charge.algorithm.lasts or charge.algorithm.times
    local left = lasts(state, charge) + 5000 + now % 5000
    redis.call('SET', key, charge.algorithm.write(state), 'PX', string.format('%.0f', left))
  end
end
reply[1] = repaired
return reply
