// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/tls"
	"net/http"

	"github.com/assaynet/assay/internal/webproxy"
)

// Transport makes connections of TLS to one host. They go through the proxy of the environment
// (HTTPS_PROXY, NO_PROXY) where there is one, unless the host is in a private network; see
// webproxy. The proxy sees the host's address and nothing of what is said.
func Transport(config *tls.Config) *http.Transport {
	return &http.Transport{TLSClientConfig: config, Proxy: webproxy.For,
		OnProxyConnectResponse: webproxy.Refused}
}
