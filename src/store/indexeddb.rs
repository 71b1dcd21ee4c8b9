//! IndexedDB behind the store port.
