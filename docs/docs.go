// Package docs holds what programs serve of the documentation.
package docs

import _ "embed"

// OpenAPI describes the hub's API, as JSON of OpenAPI 3.0. A test of hub/server makes it
// of the table of routes.
//
//go:embed openapi.json
var OpenAPI []byte
