using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Process;

namespace Xfrmd.Attach;

/// <summary>A limit of net.core, read anew each time, from a file that stays open.</summary>
internal sealed class SystemLimit(string name) : IDisposable
{
    private const int Default = 212992;
    private readonly SafeFileHandle? _file = ProcFile.TryOpen("/proc/sys/net/core/" + name);

    public int Value
    {
        get
        {
            Span<byte> text = stackalloc byte[16];
            int length = _file is null ? 0 : ProcFile.ReadAgain(_file, text);
            return length > 0 && int.TryParse(text[..length].Trim("\n"u8), CultureInfo.InvariantCulture, out int value) ? value : Default;
        }
    }

    /// <summary>One that is not asked for again.</summary>
    public static int ReadOnce(string name)
    {
        using SystemLimit limit = new(name);
        return limit.Value;
    }

    public void Dispose() => _file?.Dispose();
}
