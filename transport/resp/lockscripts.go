package resp

// The scripts that are known, by what they do. Clients that keep a lock in a key, or a counter, send these: there is no Lua here.

// lockScript is what a script does to the key that it is called with. It depends on what the key holds: the string ARGV[1] (the lock is the caller's),
// something else, or nothing.
type lockScript struct {
	texts []string // as clients send it; see normalForm
	mine  step
	other step
	free  step
	blind bool // it does not GET the key: one that holds no string is no error
	all   bool // it does the same to all of its keys
}

// step is what is done, and the answer.
type step struct {
	do     action
	answer string // encoded; sayNull: null
}

type action uint8

const (
	doNothing   action = iota
	doDel              // DEL
	doExpire           // EXPIRE to ARGV[2]
	doPExpire          // PEXPIRE to ARGV[2]
	doProlong          // PEXPIRE to ARGV[2] plus what remains, or with an ARGV[3] other than "0" to ARGV[2]; not a key without an end
	doProlongBy        // likewise without ARGV[3]
	doSet              // SET to ARGV[1] PX ARGV[2]
	doSetNX            // nothing, but what it would be set to has to make sense
	doSetIfTold        // doSet if ARGV[3] is "yes", else nothing, and null
	doSetEx            // SETEX of ARGV[1] for ARGV[2]
	doIncr             // INCRBY of ARGV[1], and answers the sum
	doTellTTL          // answers PTTL
	doTellBoth         // answers GET and PTTL
)

const (
	sayNull = ""
	sayYes  = ":1\r\n"
	sayNo   = ":0\r\n"
	sayOK   = "+OK\r\n"
)

func lockScripts() []lockScript {
	return []lockScript{
		{ // phpredis, node redlock, bsm/redislock, Laravel, Symfony, redlock-rb, redis-semaphore, redsync before v4.9
			texts: []string{
				`if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`,
				`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`,
				`
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	else
		return 0
	end
`,
				`      if redis.call("get",KEYS[1]) == ARGV[1] then
        return redis.call("del",KEYS[1])
      else
        return 0
      end
`,
				`
  local key = KEYS[1]
  local identifier = ARGV[1]

  if redis.call('get', key) == identifier then
    return redis.call('del', key)
  end

  return 0
  `,
				`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`,
			},
			mine: step{doDel, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{ // redis-py and what builds on it, as django-redis
			texts: []string{`
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    `},
			mine: step{doDel, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{ // redsync
			texts: []string{`
	local val = redis.call("GET", KEYS[1])
	if val == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	elseif val == false then
		return -1
	else
		return 0
	end
`},
			mine: step{doDel, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, ":-1\r\n"},
		},
		{ // node redlock from v4.2
			texts: []string{`local count = 0
for i, key in ipairs(KEYS) do
  if redis.call("get", key) == ARGV[1] then redis.pcall("del", key) count = count + 1 end
end
return count`},
			mine: step{doDel, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo}, all: true,
		},
		{ // bsm/redislock, redlock for Node.js before v4.2, redsync, Symfony
			texts: []string{
				`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) else return 0 end`,
				`
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("PEXPIRE", KEYS[1], ARGV[2])
	else
		return 0
	end
`,
				`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end return 0`,
			},
			mine: step{doPExpire, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{
			texts: []string{
				`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("expire", KEYS[1], ARGV[2]) else return 0 end`,
				`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("expire", KEYS[1], ARGV[2]) end return 0`,
			},
			mine: step{doExpire, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{ // redis-py: reacquire
			texts: []string{`
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('pexpire', KEYS[1], ARGV[2])
        return 1
    `},
			mine: step{doPExpire, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{ // redis-semaphore: refresh
			texts: []string{`
  local key = KEYS[1]
  local identifier = ARGV[1]
  local lockTimeout = ARGV[2]

  local value = redis.call('get', key)

  if value == identifier then
    redis.call('pexpire', key, lockTimeout)
    return 1
  end

  return 0
  `},
			mine: step{doPExpire, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{ // redis-py: extend
			texts: []string{`
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == "0" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1
    `},
			mine: step{doProlong, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{ // redis-py before 3.4: extend
			texts: []string{`
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end
        redis.call('pexpire', KEYS[1], expiration + ARGV[2])
        return 1
    `},
			mine: step{doProlongBy, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo},
		},
		{ // node redlock before v4.2: a lock
			texts: []string{`return redis.call("set", KEYS[1], ARGV[1], "NX", "PX", ARGV[2])`},
			mine:  step{doSetNX, sayNull}, other: step{doSetNX, sayNull}, free: step{doSet, sayOK}, blind: true,
		},
		{ // node redlock from v4.2: a lock, and its prolongation
			texts: []string{`for i, key in ipairs(KEYS) do
  if redis.call("exists", key) == 1 then return 0 end
end
for i, key in ipairs(KEYS) do redis.call("set", key, ARGV[1], "PX", ARGV[2]) end
return #KEYS`},
			mine: step{doNothing, sayNo}, other: step{doNothing, sayNo}, free: step{doSet, sayYes}, blind: true, all: true,
		},
		{
			texts: []string{`for i, key in ipairs(KEYS) do
  if redis.call("get", key) ~= ARGV[1] then return 0 end
end
for i, key in ipairs(KEYS) do redis.call("set", key, ARGV[1], "PX", ARGV[2]) end
return #KEYS`},
			mine: step{doSet, sayYes}, other: step{doNothing, sayNo}, free: step{doNothing, sayNo}, all: true,
		},
		{ // redlock-rb: a lock, or its prolongation
			texts: []string{`      if (redis.call("exists", KEYS[1]) == 0 and ARGV[3] == "yes") or redis.call("get", KEYS[1]) == ARGV[1] then
        return redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2])
      end
`},
			mine: step{doSet, sayOK}, other: step{doNothing, sayNull}, free: step{doSetIfTold, sayOK},
		},
		{ // redlock-rb
			texts: []string{`      return { redis.call("get", KEYS[1]), redis.call("pttl", KEYS[1]) }
`},
			mine: step{doTellBoth, sayNull}, other: step{doTellBoth, sayNull}, free: step{doTellBoth, sayNull},
		},
		{ // bsm/redislock
			texts: []string{`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pttl", KEYS[1]) else return -3 end`},
			mine:  step{doTellTTL, sayNull}, other: step{doNothing, ":-3\r\n"}, free: step{doNothing, ":-3\r\n"},
		},
		{ // Symfony: a lock, or its prolongation
			texts: []string{`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2])
else return redis.call("set", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) end`},
			mine: step{doPExpire, sayYes}, other: step{doSetNX, sayNull}, free: step{doSet, sayOK},
		},
		{ // redsync: a lock, or its prolongation
			texts: []string{`
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("PEXPIRE", KEYS[1], ARGV[2])
	elseif redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2], "NX") then
		return 1
	else
		return 0
	end
`},
			mine: step{doPExpire, sayYes}, other: step{doSetNX, sayNo}, free: step{doSet, sayYes},
		},
		{ // django-redis: incr and decr. Refused, it reads and writes instead, and loses what others have counted meanwhile.
			texts: []string{`
                    local exists = redis.call('EXISTS', KEYS[1])
                    if (exists == 1) then
                        return redis.call('INCRBY', KEYS[1], ARGV[1])
                    else return false end
                    `},
			mine: step{doIncr, sayNull}, other: step{doIncr, sayNull}, free: step{doNothing, sayNull}, blind: true,
		},
		{ // likewise, with ignore_key_check
			texts: []string{`
                    return redis.call('INCRBY', KEYS[1], ARGV[1])
                    `},
			mine: step{doIncr, sayNull}, other: step{doIncr, sayNull}, free: step{doIncr, sayNull}, blind: true,
		},
		{ // Laravel: add, with which its rate limiter begins
			texts: []string{`return redis.call('exists',KEYS[1])<1 and redis.call('setex',KEYS[1],ARGV[2],ARGV[1])`},
			mine:  step{doNothing, sayNull}, other: step{doNothing, sayNull}, free: step{doSetEx, sayOK}, blind: true,
		},
	}
}
