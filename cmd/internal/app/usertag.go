package app

import "github.com/huddle-cache/huddle/strategy"

// userTagOf finds the user's tag for a value that is a session in JSON with a user. Other values have none.
func userTagOf(value []byte) (string, bool) {
	id := strategy.SessionUserID(value)
	if id == "" {
		return "", false
	}
	return strategy.UserTag(id), true
}
