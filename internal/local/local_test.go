// SPDX-License-Identifier: Apache-2.0

package local

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// A foreign page reaches nothing, by its own name or by ours; the owner's programs reach all.
func TestOnlyTheOwnerAsks(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host, origin string
		want         int
	}{
		{"127.0.0.1:4780", "", 200},
		{"127.0.0.1", "", 200},
		{"[::1]:4780", "", 200},
		{"192.168.1.7:4780", "", 200},
		{"localhost:4780", "", 200},
		{"rig-7:4780", "", 200},
		{"RIG.Local.", "", 200},
		{own + ":4780", "", 200},
		{"worker", "", 200}, // over the socket in the home
		{"127.0.0.1:4780", "http://127.0.0.1:4780", 200},

		{"rebound.example:4780", "", 403},
		{"rebound.example", "http://rebound.example", 403},
		{"local.example", "", 403},
		{"", "", 403},
		{"127.0.0.1:4780", "http://page.example", 403},
		{"127.0.0.1:4780", "http://127.0.0.1:8080", 403},
		{"127.0.0.1:4780", "null", 403},
		{"127.0.0.1:4780", "http://%zz", 403},
	} {
		r := httptest.NewRequest(http.MethodPut, "/paused", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("host %q, origin %q: %d, want %d: %s", c.host, c.origin,
				w.Code, c.want, w.Body)
		}
	}
}
