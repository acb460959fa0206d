using System.Diagnostics;
using System.Globalization;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Linux.Tests;

/// <summary>Sockets of other processes.</summary>
public sealed class OpenSocketsTests
{
    private const string Program = "import socket, os; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); print(os.fstat(s.fileno()).st_ino, flush=True); input(); s.close(); print('closed', flush=True); input()";

    [Fact]
    public void One_is_found_for_as_long_as_a_process_has_it_open()
    {
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(new ProcessStartInfo("python3", ["-c", Program]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        ulong inode = ulong.Parse(process.StandardOutput.ReadLine()!, CultureInfo.InvariantCulture);
        Assert.Equal([inode], OpenSockets.Among([inode, 1]));
        process.StandardInput.WriteLine();
        Assert.Equal("closed", process.StandardOutput.ReadLine());
        Assert.Empty(OpenSockets.Among([inode]));
        process.StandardInput.WriteLine();
        process.WaitForExit();
    }
}
