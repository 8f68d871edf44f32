package access

import "context"

type whoKey struct{}

// With returns a context of what who asks for.
func With(ctx context.Context, who Who) context.Context { return context.WithValue(ctx, whoKey{}, who) }

// From is who asks. ok is false where nobody came in by a door: that is the
// hub itself, or a command that has opened the hub's folder.
func From(ctx context.Context) (who Who, ok bool) {
	who, ok = ctx.Value(whoKey{}).(Who)
	return who, ok
}
