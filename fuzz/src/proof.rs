//! A proof, which somebody else hands in.

use doorbuster::proof::check_alone;

/// It is sound or not, never a panic; what is sound is not when a bit of it is flipped.
pub(crate) fn fuzz(bytes: &[u8]) {
    let alone = |mut bytes: &[u8]| check_alone(&mut bytes, &mut |_| ()).expect("memory is read");
    if alone(bytes).is_sound() {
        let bit = crate::some_bit(bytes);
        assert!(!alone(&crate::flipped(bytes, bit)).is_sound(), "bit {bit} passes");
    }
}
