using BenchmarkDotNet.Running;
using Xfrmd.Bench.Load;

// dotnet run -c Release --project bench -- --filter '*Esp*'    micro-benchmarks
// dotnet bench.dll load …                                      what bench/bench.sh sends and receives
// dotnet bench.dll report FOLDER                               what it writes
switch (args)
{
    case ["load", .. string[] rest]:
        return LoadCommand.Run(rest);
    case ["report", string folder]:
        Report.Write(folder, Console.Out);
        return 0;
    default:
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        return 0;
}
