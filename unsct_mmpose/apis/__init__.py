"""What the tools are shells of: demonstration, benchmarks, results, phantom data sets."""
