package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/huddle-cache/huddle/cmd/internal/api"
	"github.com/huddle-cache/huddle/node"
)

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	b := s.cfg.Backend
	st := api.Status{
		Name:          b.Name(),
		Addr:          b.Addr(),
		Cluster:       s.cfg.About.Cluster,
		RESP:          s.cfg.About.RESP,
		Version:       s.cfg.About.Version,
		Replicas:      s.cfg.About.Replicas,
		UptimeSeconds: time.Since(s.started).Seconds(),
		Stats:         b.Stats(),
	}
	if total, err := requestBool(r, "total"); err != nil {
		invalid(w, err.Error())
		return
	} else if total && s.totals.Add(1) > maxTotals {
		s.totals.Add(-1)
	} else if total {
		defer s.totals.Add(-1)
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if n, err := b.Len(ctx); err == nil {
			st.TotalEntries = &n
		}
	}
	answer(w, http.StatusOK, st)
}

func (s *Server) members(w http.ResponseWriter, _ *http.Request) {
	b := s.cfg.Backend
	m := api.Members{View: b.Stats().View, Members: b.Members()}
	answer(w, http.StatusOK, m)
}

func (s *Server) ring(w http.ResponseWriter, r *http.Request) {
	b := s.cfg.Backend
	st := b.Stats()
	ring := api.Ring{View: st.View, Partitions: st.Partitions, Replicas: s.cfg.About.Replicas, Shares: []api.Share{}}
	for _, m := range b.Members() {
		ring.Shares = append(ring.Shares, api.Share{Name: m.Name, Addr: m.Addr, Share: m.Share})
	}
	if query := r.URL.Query(); query.Has("key") {
		p := b.Locate(query.Get("key"))
		p.Copies = append([]string{}, p.Copies...) // a list, also if there is none
		ring.Placement = &p
	}
	answer(w, http.StatusOK, ring)
}

func (s *Server) revokeUser(w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	if user == "" {
		invalid(w, "user is missing: the ID of the user")
		return
	}
	ctx, cancel := s.opContext(r)
	defer cancel()
	if err := s.cfg.Backend.RevokeUser(ctx, user); err != nil {
		failure(w, err)
		return
	}
	done(w)
}

func (s *Server) invalidateTags(w http.ResponseWriter, r *http.Request) {
	tags := r.URL.Query()["tag"]
	if len(tags) == 0 {
		invalid(w, "tag is missing: the tag of the entries that end; it may be given again")
		return
	}
	ctx, cancel := s.opContext(r)
	defer cancel()
	if err := s.cfg.Backend.InvalidateTags(ctx, tags...); err != nil {
		failure(w, err)
		return
	}
	done(w)
}

func (s *Server) forget(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" {
		invalid(w, "name is missing: the name of the lost node")
		return
	}
	ctx, cancel := s.opContext(r)
	defer cancel()
	// Unlike a key, a node's name is no secret: what the node says of it helps.
	switch err := s.cfg.Backend.Forget(ctx, name); {
	case errors.Is(err, node.ErrInvalid):
		invalid(w, strings.TrimPrefix(err.Error(), node.ErrInvalid.Error()+": "))
	case err != nil:
		s.cfg.Logger.Warn("forget failed", "name", name, "error", err)
		failure(w, err)
	default:
		done(w)
	}
}
