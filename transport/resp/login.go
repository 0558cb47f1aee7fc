package resp

import (
	"crypto/sha256"
	"crypto/subtle"
)

// is returns what tells, in a time that tells nothing about it, whether a client has given the password.
func is(password string) func([]byte) bool {
	want := sha256.Sum256([]byte(password))
	return func(given []byte) bool {
		sum := sha256.Sum256(given)
		return subtle.ConstantTimeCompare(sum[:], want[:]) == 1
	}
}

func cmdAuth(c *client, args [][]byte) {
	switch {
	case len(args) > 3:
		c.writeError(errSyntax)
	case len(args) == 2 && c.srv.cfg.CheckPassword == nil:
		c.writeError("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	case len(args) == 2 && c.login("default", args[1]), len(args) == 3 && c.login(string(args[1]), args[2]):
		c.writeOK()
	}
}

// login lets the client in if the password is accepted. A failure is answered; after the last that is allowed the client is cut off.
func (c *client) login(user string, password []byte) bool {
	check := c.srv.cfg.CheckPassword
	if accepted := check == nil || check(password); accepted && user == "default" {
		c.setAuthed(true)
		return true
	}
	c.report("wrong password")
	c.writeError("WRONGPASS invalid username-password pair or user is disabled.")
	if c.guesses++; c.guesses >= maxGuesses {
		c.quit = true
	}
	return false
}

func cmdHello(c *client, args [][]byte) {
	proto := c.proto
	if len(args) > 1 {
		n, ok := parseInt(args[1])
		if !ok {
			c.writeError("ERR Protocol version is not an integer or out of range")
			return
		}
		if n != 2 && n != 3 {
			c.writeError("NOPROTO unsupported protocol version")
			return
		}
		proto = int(n)
	}
	name := c.name.Load()
	for i := 2; i < len(args); i++ {
		switch more := len(args) - i - 1; {
		case equalFold(args[i], "auth") && more >= 2:
			if !c.login(string(args[i+1]), args[i+2]) {
				return
			}
			i += 2
		case equalFold(args[i], "setname") && more >= 1:
			if msg := checkName(args[i+1]); msg != "" {
				c.writeError(msg)
				return
			}
			s := string(args[i+1])
			name = &s
			i++
		default:
			c.writeError("ERR Syntax error in HELLO option '" + cString(args[i], 128) + "'")
			return
		}
	}
	if !c.authed {
		c.writeError("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH " +
			"<user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	c.name.Store(name)
	c.proto = proto
	c.writeMap(7)
	c.writeBulkString("server")
	c.writeBulkString("redis")
	c.writeBulkString("version")
	c.writeBulkString(dialect)
	c.writeBulkString("proto")
	c.writeInt(int64(proto))
	c.writeBulkString("id")
	c.writeInt(c.id)
	c.writeBulkString("mode")
	c.writeBulkString("standalone")
	c.writeBulkString("role")
	c.writeBulkString("master")
	c.writeBulkString("modules")
	c.writeArray(0)
}
