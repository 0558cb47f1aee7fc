// Package strategytest holds the tests that every strategy.SessionCache passes.
package strategytest
