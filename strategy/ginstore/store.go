// Package ginstore keeps the sessions of github.com/gin-contrib/sessions in the cluster of the service's own replicas.
//
//	store := ginstore.New(n, [][]byte{key})
//	r.Use(sessions.Sessions("session", store), ginstore.Certain("session", store))
package ginstore

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	gorilla "github.com/gorilla/sessions"

	"github.com/huddle-cache/huddle/node"
	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/gorillastore"
)

// Store is a gorillastore.Store that gin-contrib/sessions takes. See there for what it promises.
type Store struct{ *gorillastore.Store }

// New returns the store of a running node, which must not be nil; the arguments are those of gorillastore.New.
func New(n *node.Node, keyPairs [][]byte, opts ...strategy.StoreOption) *Store {
	return &Store{gorillastore.New(n, keyPairs, append([]strategy.StoreOption{strategy.WithStorePrefix("gin:")}, opts...)...)}
}

// Options sets what sessions get that set none themselves. It is to be called before the store is used. A MaxAge of 0 leaves
// that as it is.
func (s *Store) Options(options sessions.Options) {
	age := s.Store.Options.MaxAge
	s.Store.Options = options.ToGorillaOptions()
	if options.MaxAge != 0 {
		age = options.MaxAge
	}
	s.MaxAge(age)
}

// Certain answers 503 where it is not known just now whether the session exists (a node died, or this one is cut off), and
// adds the error to the context. gin-contrib/sessions itself would go on with an empty session: as if the user were logged out. It
// comes after sessions.Sessions, with the same name; after sessions.SessionsMany there is one Certain per name.
func Certain(name string, store *Store) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := read(c, name, store); errors.Is(err, strategy.ErrUnsure) {
			c.Header("Retry-After", "1")
			_ = c.AbortWithError(http.StatusServiceUnavailable, fmt.Errorf("session %s: %w", name, err)) // what was passed in
		}
	}
}

// read reads the session that sessions.Default and DefaultMany will return. They go by the request that sessions.Sessions has seen, in whose place
// other middleware may have put another, with a context of its own: what is read by that one they would read once more.
func read(c *gin.Context, name string, store *Store) error {
	used, _ := c.Get(sessions.DefaultKey)
	if many, ok := used.(map[string]sessions.Session); ok {
		used = many[name]
	}
	if s, ok := used.(interface{ Session() *gorilla.Session }); ok {
		if session := s.Session(); session != nil {
			return store.Unread(session)
		}
	}
	_, err := store.Get(c.Request, name)
	return err
}

var _ sessions.Store = (*Store)(nil)
