package blob_test

import "context"

var bg = context.Background()
