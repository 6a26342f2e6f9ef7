// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"context"
	"fmt"
	"net/http"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
)

// Offered asks the host whether it gives out challenges: one that does not has
// no such page.
func (m *Machine) Offered(ctx context.Context) (bool, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.client.base+mpocv1.PathStatus, nil)
	if err != nil {
		return false, err
	}
	answer, err := m.client.http.Do(r)
	if err != nil {
		return false, err
	}
	answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	return false, fmt.Errorf("the host answered %s", answer.Status)
}
