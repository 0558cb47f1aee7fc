package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/node"
)

func answer(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"code":"internal","error":"cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that is gone needs no answer
}

func fail(w http.ResponseWriter, status int, code, text string) {
	answer(w, status, &api.Error{Code: code, Text: text})
}

// invalid answers a request that is not usable as it is.
func invalid(w http.ResponseWriter, text string) {
	fail(w, http.StatusBadRequest, api.CodeInvalid, text)
}

func done(w http.ResponseWriter) { answer(w, http.StatusOK, api.Done{OK: true}) }

func doneExisted(w http.ResponseWriter, existed bool) {
	answer(w, http.StatusOK, api.Done{OK: true, Existed: &existed})
}

// Detail is what an error of the node says of an argument that is too large or not usable, such as "key of 1025 bytes, at most 1024". It
// has neither the key nor the value: the node says their lengths and the limits. Empty: there is nothing.
func Detail(err error) string {
	for _, sort := range []error{node.ErrTooLarge, node.ErrInvalid} {
		if _, text, ok := strings.Cut(err.Error(), sort.Error()+": "); ok && errors.Is(err, sort) {
			return text
		}
	}
	return ""
}

// failure answers with an error of the node. The text is ours or of Detail, so that it cannot hold a key.
func failure(w http.ResponseWriter, err error) {
	for _, c := range []struct {
		is     error
		status int
		code   string
		text   string
	}{
		{node.ErrUnconfirmed, http.StatusGatewayTimeout, api.CodeUnconfirmed, "the change was not confirmed in time; it may still take effect"},
		{node.ErrUnavailable, http.StatusServiceUnavailable, api.CodeUnavailable, "no majority of the cluster within reach"},
		{node.ErrUnsure, http.StatusServiceUnavailable, api.CodeUnsure, "the answer is not known just now; try again"},
		{node.ErrTooLarge, http.StatusRequestEntityTooLarge, api.CodeTooLarge, "over the size limit"},
		{node.ErrInvalid, http.StatusBadRequest, api.CodeInvalid, "an argument is not usable"},
		{node.ErrHashed, http.StatusConflict, api.CodeHashed, "keys are hashed on this cluster (--hash-tokens) and cannot be listed"},
		{node.ErrCondition, http.StatusPreconditionFailed, api.CodeCondition, "the condition does not hold; nothing was written"},
		{node.ErrRevoked, http.StatusConflict, api.CodeRevoked, "the key was deleted for good"},
		{node.ErrOverload, http.StatusServiceUnavailable, api.CodeOverload, "too many operations are under way"},
		{node.ErrClosed, http.StatusServiceUnavailable, api.CodeClosed, "the node is closed"},
		{context.DeadlineExceeded, http.StatusGatewayTimeout, api.CodeUnsure, "no answer in time"},
		{context.Canceled, http.StatusGatewayTimeout, api.CodeUnsure, "the request was given up"},
	} {
		if errors.Is(err, c.is) {
			text := c.text
			if detail := Detail(err); detail != "" {
				text += ": " + detail
			}
			fail(w, c.status, c.code, text)
			return
		}
	}
	fail(w, http.StatusInternalServerError, api.CodeInternal, "the node failed; its log may say more")
}
