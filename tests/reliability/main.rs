mod kill_points;

fn main() {
    kill_points::run();
}
