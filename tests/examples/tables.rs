//! Prints the two tables of docs/architecture.md.

fn main() {
    print!("{}", cache_adapter::regions_table());
    println!("\n| write | makes stale |\n|---|---|");
    for (write, keys) in cache_adapter::stale_table() {
        println!("| `{write}` | {keys} |");
    }
}
