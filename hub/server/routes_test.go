package server_test

import "maps"

// The routes of records, entities and second factors, as [who] has them.
func init() {
	maps.Copy(who, map[string]string{
		"POST /account/factor/new":                         "s",
		"POST /account/factor/off":                         "s",
		"GET /account/factor":                              "s",
		"GET /account/factor/new":                          "s",
		"GET /account/factor/off":                          "s",
		"GET /records":                                     "vrda",
		"GET /records/{device}/{incarnation}/{lane}/{seq}": "vrda",
		"POST /records/reveal":                             "ra",
		"GET /entities":                                    "vrda",
		"GET /entities/{type}/{id}":                        "vrda",
		"POST /entities/reveal":                            "ra",
		"POST /queue/{id}/take":                            "ra",
		"POST /queue/{id}/release":                         "ra",
		"POST /api/v1/office/items/{id}/take":              "ra",
		"POST /api/v1/office/items/{id}/release":           "ra",
		"POST /queue/alike":                                "ra",
		"POST /api/v1/office/alike":                        "ra",
		"GET /api/v1/office/records":                       "vrda",
		"GET /api/v1/office/record":                        "vrda",
		"GET /api/v1/office/entities":                      "vrda",
		"GET /api/v1/office/entity":                        "vrda",
		"POST /api/v1/office/reveal":                       "ra",
	})
}
