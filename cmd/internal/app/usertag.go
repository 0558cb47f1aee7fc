package app

import "github.com/huddle-cache/huddle/strategy"

// userTag is the tag by which all sessions of a user are found. It is the one that package strategy gives them.
func userTag(userID string) string { return "user:" + userID }

// userTagOf finds the user's tag for a value that is a session in JSON with a user. Other values have none.
func userTagOf(value []byte) (string, bool) {
	id := strategy.SessionUserID(value)
	if id == "" {
		return "", false
	}
	return userTag(id), true
}
