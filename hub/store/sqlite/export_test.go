package sqlite

import "io/fs"

// Migrate puts other steps in the place of the program's, as another version has them.
func Migrate(steps fs.FS) (back func()) {
	was := migrations
	migrations = steps
	return func() { migrations = was }
}

// Embedded are the program's own steps.
func Embedded() fs.FS { return embedded }
