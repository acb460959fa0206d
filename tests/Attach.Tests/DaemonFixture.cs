namespace Xfrmd.Attach.Tests;

/// <summary>One daemon for each test.</summary>
public abstract class DaemonFixture : IDisposable
{
    protected EchoDaemon Daemon { get; } = new();

    public void Dispose()
    {
        Daemon.Dispose();
        GC.SuppressFinalize(this);
    }

    protected string Python(string script, params string[] arguments) => Client.Python(Daemon.Path, script, arguments);

    protected Client.Result Shell(string script) => Client.Run(Daemon.Path, "sh", "-c", script);
}
