package admin

import (
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed page.html
var pageHTML []byte

// page serves the status page: one document without any outside asset. What it shows it fetches from /api/v1 and writes as
// text, never as markup; the policy forbids it anything else.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(pageHTML)))
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(pageHTML) // a client that is gone needs no answer
}
