// Package deploy holds no code: the manifests beside it are examples, and its tests check them.
package deploy
