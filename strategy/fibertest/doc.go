// Package fibertest holds no code. Its tests run github.com/gofiber/fiber's own session middleware, with its own tests, on
// strategy.FiberStorage; they are a module of their own, so that the others need no Fiber.
package fibertest
