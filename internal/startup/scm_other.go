//go:build !windows

package startup

import "context"

const onWindows = false

// Under runs a program's main part, obeying whatever started it. name is the
// service's.
func Under(ctx context.Context, _ string, run func(context.Context) int) int { return run(ctx) }

func (p Plan) installWindows(*Done) error { return ErrUnknown }

func (p Plan) removeWindows() error { return ErrUnknown }
