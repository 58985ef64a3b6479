//! The stores against their contract.

use cartguard_io::contract::check_store;
use cartguard_io::{FolderStore, Store};

#[test]
fn a_folder_is_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    check_store(&FolderStore::open(folder.path()).expect("an empty folder"));
}

#[test]
fn what_a_crash_left_unfinished_is_no_blob_and_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.part.unfinished"), b"half").expect("a file");
    let store = FolderStore::open(folder.path()).expect("a folder");
    assert_eq!(store.list().expect("a folder"), [""; 0]);
    assert!(!folder.path().join("a.part.unfinished").exists());
}
