package app

import (
	"bytes"
	"encoding/json"
)

// userTag is the tag by which all sessions of a user are found. It is the one that package strategy gives them.
func userTag(userID string) string { return "user:" + userID }

// userTagOf finds the user's tag for a value that is a session in JSON with a user. Other values have none.
func userTagOf(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '{' || !bytes.Contains(value, []byte(`"user"`)) {
		return "", false
	}
	var session struct {
		User struct {
			ID json.RawMessage `json:"id"`
		} `json:"user"`
	}
	if json.Unmarshal(value, &session) != nil {
		return "", false
	}
	var text string
	var number json.Number
	switch id := session.User.ID; {
	case len(id) == 0:
		return "", false
	case json.Unmarshal(id, &text) == nil && text != "":
		return userTag(text), true
	case id[0] != '"' && json.Unmarshal(id, &number) == nil && number != "":
		return userTag(number.String()), true
	}
	return "", false
}
