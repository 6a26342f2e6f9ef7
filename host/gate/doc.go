// SPDX-License-Identifier: Apache-2.0

// Package gate limits the resources that unknown peers can consume: how
// many connections an address may hold and open ([Listen]), how often it may ask
// ([Rates]), and how much memory the messages under way take together ([Room]).
//
// Keys cost nothing, so nothing here is counted by key. An address is an IPv4
// address or an IPv6 network of 56 bits.
package gate
