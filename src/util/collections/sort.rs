//! Sorting: the standard library's is made anew for each type, in two kilobytes of code.

/// What can be brought into order by exchanging places.
trait Swappable {
    fn is_less(&self, a: usize, b: usize) -> bool;
    fn exchange(&mut self, a: usize, b: usize);
}

struct Of<'a, T>(&'a mut [T]);

impl<T: Ord> Swappable for Of<'_, T> {
    fn is_less(&self, a: usize, b: usize) -> bool {
        self.0.get(a) < self.0.get(b)
    }

    fn exchange(&mut self, a: usize, b: usize) {
        self.0.swap(a, b);
    }
}

/// Sorts; what is equal may change places.
pub fn sort<T: Ord>(items: &mut [T]) {
    heap(items.len(), &mut Of(items));
}

// Never much slower than it is on average, and needs no room.
fn heap(len: usize, items: &mut dyn Swappable) {
    for root in (0..len / 2).rev() {
        sink(root, len, items);
    }
    for end in (1..len).rev() {
        items.exchange(0, end);
        sink(0, end, items);
    }
}

fn sink(mut root: usize, end: usize, items: &mut dyn Swappable) {
    loop {
        let mut child = root.saturating_mul(2).saturating_add(1);
        if child >= end {
            return;
        }
        let other = child.saturating_add(1);
        if other < end && items.is_less(child, other) {
            child = other;
        }
        if !items.is_less(root, child) {
            return;
        }
        items.exchange(root, child);
        root = child;
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::sort;

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        let mut dice = 0x2545_f491_4f6c_dd1d_u64;
        for len in (0..70).chain([1000]) {
            let mut items: Vec<u64> = Vec::new();
            for _ in 0..len {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                items.push(dice % 100);
            }
            let mut sorted = items.clone();
            sorted.sort_unstable();
            sort(&mut items);
            assert_eq!(items, sorted);
        }
    }
}
