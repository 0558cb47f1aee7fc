package demo

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// How many look-ups of an audit run at the same time.
const auditors = 8

// enrol logs in n regulars, who then stay away: their sessions lie untouched.
func (s *shop) enrol(ctx context.Context, n int) {
	fresh := make([]*visitor, n)
	for i := range fresh {
		fresh[i] = &visitor{id: 1000 + i, name: fmt.Sprintf("regular %d", i+1)}
	}
	each(fresh, func(v *visitor) {
		v.mu.Lock()
		defer v.mu.Unlock()
		s.login(ctx, v)
	})
	for _, v := range fresh {
		if v.token != "" {
			s.regulars = append(s.regulars, v)
		}
	}
}

// auditRegulars reads every regular's session through some replica, or, with everywhere, through every healthy one. It
// returns how many reads were right and how many there should be.
func (s *shop) auditRegulars(ctx context.Context, everywhere bool) (right, of int) {
	var mu sync.Mutex
	each(s.regulars, func(v *visitor) {
		v.mu.Lock()
		defer v.mu.Unlock()
		through := []*replica{nil}
		if everywhere {
			through = s.b.healthy()
		}
		for _, r := range through {
			_, ok := s.browse(ctx, v, r)
			mu.Lock()
			of++
			if ok {
				right++
			}
			mu.Unlock()
		}
	})
	return right, of
}

// auditVisitors reads every visitor's session through every healthy replica, and looks there for the sessions that ended
// last. It returns how many of each it looked at.
func (s *shop) auditVisitors(ctx context.Context) (live, gone int) {
	healthy := s.b.healthy()
	for _, v := range s.visitors {
		v.mu.Lock()
		if v.token != "" {
			live++
			for _, r := range healthy {
				s.browse(ctx, v, r)
			}
		}
		v.mu.Unlock()
	}
	s.mu.Lock()
	tokens := append([]string(nil), s.gone...)
	s.mu.Unlock()
	each(tokens, func(token string) {
		for _, r := range healthy {
			s.checkGone(ctx, r, token, "A visitor")
		}
	})
	return live, len(tokens)
}

// each calls do for every item, auditors at a time.
func each[T any](items []T, do func(T)) {
	var all errgroup.Group
	all.SetLimit(auditors)
	for _, item := range items {
		all.Go(func() error {
			do(item)
			return nil
		})
	}
	_ = all.Wait()
}
