using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Bpf;

/// <summary>Whether programs of eBPF can be had here.</summary>
public static class BpfSupport
{
    private static readonly Version FirstTcx = new(6, 6);

    /// <summary>Why no program can be attached to links (tcx); null: one can. Loads one that does nothing, and lets it go.</summary>
    public static string? Obstacle()
    {
        Version kernel = Environment.OSVersion.Version;
        if (kernel < FirstTcx)
        {
            return $"Linux {kernel.ToString(2)} has none for links (tcx, Linux {FirstTcx})";
        }
        BpfProgram nothing = new();
        nothing.Set(BpfProgram.R0, 0);
        nothing.Return();
        try
        {
            using SafeFileHandle map = BpfCalls.CreateMap(BpfCalls.MapArray, sizeof(uint), sizeof(uint), 1, BpfCalls.Mappable);
            using SafeFileHandle program = BpfCalls.LoadClassifier(nothing.Assemble());
            return null;
        }
        catch (LinuxException e)
        {
            return e.Message;
        }
    }
}
