package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/huddle-cache/huddle/strategy"
)

// The store has all that scs may ask for.
var (
	_ scs.Store            = (*strategy.SCSStore)(nil)
	_ scs.CtxStore         = (*strategy.SCSStore)(nil)
	_ scs.IterableStore    = (*strategy.SCSStore)(nil)
	_ scs.IterableCtxStore = (*strategy.SCSStore)(nil)
)

// replicaHeader names the replica that answered.
const replicaHeader = "X-Replica"

const userKey = "user"

// newService is a service as any other that uses scs: nothing in it knows of the cluster.
func newService(name string, store scs.Store) http.Handler {
	sessions := scs.New()
	sessions.Store = store
	sessions.Lifetime = time.Hour
	sessions.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, _ error) {
		http.Error(w, "sessions cannot be read just now", http.StatusServiceUnavailable)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user")
		if err := sessions.RenewToken(r.Context()); err != nil {
			sessions.ErrorFunc(w, r, err)
			return
		}
		sessions.Put(r.Context(), userKey, user)
		fmt.Fprintln(w, "hello", user)
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		user := sessions.GetString(r.Context(), userKey)
		if user == "" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, user)
	})
	mux.HandleFunc("POST /logout-everywhere", func(w http.ResponseWriter, r *http.Request) {
		ended := 0
		user := sessions.GetString(r.Context(), userKey)
		err := sessions.Iterate(r.Context(), func(ctx context.Context) error {
			if user == "" || sessions.GetString(ctx, userKey) != user {
				return nil
			}
			ended++
			return sessions.Destroy(ctx)
		})
		if err == nil {
			err = sessions.Destroy(r.Context()) // so that this request does not save its own again
		}
		if err != nil {
			sessions.ErrorFunc(w, r, err)
			return
		}
		fmt.Fprintln(w, ended, "sessions ended")
	})
	withSessions := sessions.LoadAndSave(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(replicaHeader, name)
		withSessions.ServeHTTP(w, r)
	})
}
