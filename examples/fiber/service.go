package main

import (
	"bytes"
	"encoding/gob"
	"errors"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/session"

	"github.com/huddle-cache/huddle/strategy"
)

// userKey is where the session holds its user.
const userKey = "user"

// userOf reads whose session the data is, so that the storage can end all sessions of a user. Fiber encodes with gob.
func userOf(data []byte) string {
	values := map[any]any{}
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&values); err != nil {
		return ""
	}
	user, _ := values[userKey].(string)
	return user
}

// newService is the web service as each replica runs it. It knows Fiber's sessions; only the storage knows the cluster.
func newService(storage *strategy.FiberStorage) *fiber.App {
	app := fiber.New(fiber.Config{ErrorHandler: fail})
	app.Use(recover.New()) // Fiber's session middleware panics with the error of its storage
	app.Use(session.New(session.Config{
		Storage:        storage,
		CookieHTTPOnly: true,
		ErrorHandler:   func(c fiber.Ctx, err error) { _ = fail(c, err) },
	}))
	app.Post("/login", func(c fiber.Ctx) error {
		user := c.Query("user")
		if user == "" {
			return c.Status(fiber.StatusBadRequest).SendString("who?")
		}
		s := session.FromContext(c)
		if err := s.Regenerate(); err != nil { // whoever planted the old ID has nothing of it
			return err
		}
		s.Set(userKey, user)
		return c.SendString("welcome " + user)
	})
	app.Get("/me", func(c fiber.Ctx) error {
		user, _ := session.FromContext(c).Get(userKey).(string)
		if user == "" {
			return c.Status(fiber.StatusUnauthorized).SendString("not logged in")
		}
		return c.SendString("you are " + user)
	})
	app.Post("/logout", func(c fiber.Ctx) error {
		if err := session.FromContext(c).Destroy(); err != nil {
			return err
		}
		return c.SendString("bye")
	})
	app.Post("/logout-everywhere", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		user, _ := s.Get(userKey).(string)
		if user == "" {
			return c.Status(fiber.StatusUnauthorized).SendString("not logged in")
		}
		if err := storage.RevokeUser(c, user); err != nil {
			return err
		}
		if err := s.Destroy(); err != nil { // this request's own, so that it is not saved again
			return err
		}
		return c.SendString("bye, everywhere")
	})
	return app
}

// fail answers when the storage could not. "The session was ended" and "not sure just now" are different answers: the second
// must not log anybody out.
func fail(c fiber.Ctx, err error) error {
	var known *fiber.Error
	switch {
	case errors.As(err, &known):
		return c.Status(known.Code).SendString(known.Message)
	case errors.Is(err, strategy.ErrRevoked):
		return c.Status(fiber.StatusUnauthorized).SendString("your session was ended")
	default:
		return c.Status(fiber.StatusServiceUnavailable).SendString("sessions are not available just now, try again")
	}
}
