package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestExample(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"the laptop is known to all three replicas", "the phone is known to all three replicas",
		"a stranger is refused by all three replicas", "the laptop is refused by all three replicas",
		"the phone is refused by all three replicas", "All as it should be.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}
