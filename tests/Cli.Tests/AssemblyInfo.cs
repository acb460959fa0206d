using System.Runtime.Versioning;

[assembly: SupportedOSPlatform("linux")]

// The commands write to the console of the process: one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
